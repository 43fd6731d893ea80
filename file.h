/* file.h -- reads and writes of whole files, past signals, in as many calls as it takes; new ones.
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

/* A new file in `dir`, and a path to open and to link it by; -1: errno says why. It has no name,
 * and goes with its last descriptor. Where the system makes none such it has one: then it goes
 * with unlink(path), which otherwise does nothing. */
#define FILE_PATH_MAX 1024
int file_make(const char *dir, char path[FILE_PATH_MAX]);

#endif
