import { BSON, Long } from 'mongodb';
import { expect, test } from 'vitest';
import { cursorId } from './cursor-id.js';

const INT64 = 18;

test.each([
  ['beyond what a number can hold', Long.fromString('8765432109876543210')],
  ['that a number holds', Long.fromString('4876543210987654')],
  ['of 32 bits', Long.fromInt(7)],
])('an id %s goes back as it came', (_, id) => {
  const came = BSON.deserialize(BSON.serialize({ id }))['id'] as Long | number;
  const sent = BSON.serialize({ id: cursorId(came) });
  // Right after the length: the type.
  expect(sent[4]).toBe(INT64);
  expect(BSON.deserialize(sent, { promoteLongs: false })['id']).toEqual(id);
});
