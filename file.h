/* file.h -- reads and writes of whole files: past signals, in as many calls as it takes.
 *
 * Errors  false, and errno says why; what had come or gone in part is then nothing.
 */
#ifndef FILE_H
#define FILE_H

#include "bytes.h"

/* All of `bytes`. */
bool file_write(int fd, struct slice bytes);

/* Appends what comes until the file ends or `text` is full. */
bool file_read(int fd, struct buf *text);

/* The same of the file at `path`. A FIFO holds up nobody. */
bool file_load(const char *path, struct buf *text);

#endif
