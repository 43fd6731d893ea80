/* writer.h -- the process that alone writes to the store: batches, commits, then answers.
 *
 * It takes whole requests from the fronts, runs their handlers inside one transaction,
 * commits once, and only then lets the answers go (group commit). It also sweeps what has
 * expired and frees the slots of readers that died.
 */
#ifndef WRITER_H
#define WRITER_H

#include "config.h"

/* Makes the store where there is none, and runs until the supervisor at the other end of
 * `control` is gone or says so; returns the exit status of the process. */
int writer_run(const struct config *config, int control);

#endif
