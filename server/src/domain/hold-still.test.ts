import { expect, test } from 'vitest';
import { type Seen, whyOlder } from './hold-still.js';
import type { HostId } from './ids.js';

const HERE: Seen = { storeUid: 'u', incarnation: 3, holderEpoch: 7, counter: 20n };
const why = (seen: Partial<Seen> | undefined) => whyOlder('h1' as HostId, seen && { ...HERE, ...seen }, HERE);

test.each<[string, Partial<Seen>, RegExp]>([
  ['a higher holder epoch', { holderEpoch: 8, counter: 1n }, /^Host h1 knows holder epoch 8 .* come to 7: an old copy/],
  ['a session of this epoch that was never begun', { counter: 21n }, /session 7\/21 .* come to 7\/20: an old copy/],
  [
    'a later incarnation',
    { incarnation: 4, holderEpoch: 1, counter: 1n },
    /incarnation 4 .* has 3: a server was started/,
  ],
])('who knows %s knows more than the store', (_, seen, reason) => {
  expect(why(seen)).toMatch(reason);
});

test.each<[string, Partial<Seen> | undefined]>([
  ['of no store', undefined],
  ['of another store', { storeUid: 'v', incarnation: 9, holderEpoch: 99 }],
  ['of the incarnation before, under a higher epoch', { incarnation: 2, holderEpoch: 99 }],
  ['of an epoch before, with more sessions', { holderEpoch: 6, counter: 99n }],
  ['of this epoch, up to the last session', { counter: 20n }],
])('who knows %s does not', (_, seen) => {
  expect(why(seen)).toBeUndefined();
});
