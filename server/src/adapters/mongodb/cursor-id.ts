// Ids of cursors, which the database takes as 64-bit integers only.

import { Long } from 'mongodb';

/**
 * The id as it can be sent back. The driver reads it as a number where that is exact, as it is for one id of a thousand,
 * and writes numbers as doubles, or of 32 bits.
 */
export function cursorId(id: Long | number): Long {
  return typeof id === 'number' ? Long.fromNumber(id) : id;
}
