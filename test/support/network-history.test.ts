import { expect, test } from 'vitest';
import { type StoredNetwork, violationsOf } from './network-history.js';

const FIRST: StoredNetwork = {
  networkId: 'red',
  revision: '1',
  holderEpoch: 3,
  counter: 7,
  wanted: 2,
  placements: ['h1 6', 'h2 7'],
  formerServers: [],
};

test('placements that follow one another are right', () => {
  const looks = [
    FIRST,
    FIRST,
    { ...FIRST, counter: 8, placements: ['h1 6', 'h3 8'] },
    { ...FIRST, counter: 8, wanted: 1, placements: ['h1 6', 'h3 8'] },
    { ...FIRST, counter: 9, wanted: 1, placements: ['h2 9'], holderEpoch: 4 },
    { ...FIRST, networkId: 'blue', placements: ['h3 6'], holderEpoch: 1 },
  ];
  expect(violationsOf(looks)).toEqual([]);
});

test.each<[string, Partial<StoredNetwork>, string]>([
  ['more than are wanted', { placements: ['h1 6', 'h2 7', 'h3 8'], counter: 8 }, '3 placements, 2 wanted'],
  ['a host twice', { placements: ['h1 6', 'h1 8'], counter: 8 }, 'a host twice among h1 6, h1 8'],
  ['an epoch that was of another host', { placements: ['h1 6', 'h3 7'] }, "epoch 7 was h2's and is h3's"],
  ['a counter that fell', { counter: 6 }, 'the counter fell from 7'],
  ['a holder epoch that fell', { holderEpoch: 2 }, 'the holder epoch fell from 3'],
])('%s is wrong', (_, change, wrong) => {
  expect(violationsOf([FIRST, { ...FIRST, ...change }])).toEqual([`red, revision 1: ${wrong}`]);
});

test('a placement that went and comes back with its epoch is wrong', () => {
  const looks = [FIRST, { ...FIRST, placements: ['h1 6'] }, FIRST];
  expect(violationsOf(looks)).toEqual(['red, revision 1: h2 7 came back']);
});
