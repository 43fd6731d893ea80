/* openapi.h -- docs/openapi.json on one line, packed by gzip, as bytes of the binary
 * (openapi.S).
 *
 * Source  OpenAPI Specification 3.1.
 */
#ifndef OPENAPI_H
#define OPENAPI_H

#include "bytes.h"

extern const char openapi_gz[];
extern const uint32_t openapi_gz_len;

#endif
