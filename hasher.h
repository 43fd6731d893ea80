/* hasher.h -- the process for what takes long: password hashes, and the keys of tokens.
 *
 * It takes one question at a time from the writer, works on it, and answers. It alone among
 * the serving processes knows DATA/seal.key, and it knows nothing else: no store, no network.
 */
#ifndef HASHER_H
#define HASHER_H

#include "config.h"

/* Runs until the supervisor at the other end of `control` is gone or says so; returns the
 * exit status of the process. */
int hasher_run(const struct config *config, int control);

#endif
