/* view.h -- records as cells: what the commands print is what /admin/ answers.
 *
 * Memory  strings of a cell point into the record, or into `room`, of VIEW_TEXT_MAX bytes.
 */
#ifndef VIEW_H
#define VIEW_H

#include "identity.h"
#include "print.h"

#define VIEW_TEXT_MAX       1024
#define VIEW_CUSTOMER_CELLS 8
#define VIEW_CLIENT_CELLS   10
#define VIEW_PRODUCT_CELLS  10
#define VIEW_SESSION_CELLS  8

void view_customer(struct print_cell cells[VIEW_CUSTOMER_CELLS], const struct customer_record *r);

/* The last cell is the key itself, which is known when it is added alone: leave it out. */
void view_client(struct print_cell cells[VIEW_CLIENT_CELLS], struct buf *room,
                 const struct client_record *r, struct slice key, uint64_t now_s);

/* Members are named as the fields that product_read_json() reads. */
void view_product(struct print_cell cells[VIEW_PRODUCT_CELLS], struct buf *room,
                  const struct product_record *r);

/* Customer and login are the last two. */
void view_session(struct print_cell cells[VIEW_SESSION_CELLS], struct buf *room,
                  const uint8_t key[RECORD_SESSION_KEY_LEN], const struct session_record *s,
                  uint64_t now_s);

#endif
