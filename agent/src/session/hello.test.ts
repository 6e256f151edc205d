import { expect, test } from 'vitest';
import { helloParts } from './hello.js';

const AGENT = {
  hostId: 'h1',
  agentInstance: 'i1',
  bootId: 'b1',
  agentVersion: '0.1.0',
  backend: 'builtin',
  failureDomain: 'rack-1',
};
const KNOWN = { storeUid: 's1', incarnation: 2n, highestEpoch: { holderEpoch: 3n, counter: 4n } };

function parts(attachments: number, tables: number) {
  const ids = (count: number) => Array.from({ length: count }, (_, i) => `n${i}`);
  const attached = ids(attachments).map((networkId) => ({
    networkId,
    interface: 'br0',
    ready: true,
    reason: '',
    foreignDhcpServers: [],
  }));
  const states = ids(tables).map((networkId) => ({
    networkId,
    networkUid: 'u',
    placementEpoch: 1n,
    sequence: 0n,
    digest: Buffer.alloc(32),
    entries: 0n,
    serving: false,
    reason: '',
  }));
  return helloParts(AGENT, KNOWN, attached, states).map(({ message }) => {
    if (message?.$case !== 'hello') throw new Error('no hello');
    return message.value;
  });
}

test('an agent without networks says hello in one part', () => {
  expect(parts(0, 0)).toMatchObject([{ ...AGENT, ...KNOWN, attachments: [], tables: [], last: true }]);
});

test('an agent that never had a session knows no store', () => {
  const [hello] = helloParts(AGENT, undefined, [], []);
  expect(hello?.message?.value).toMatchObject({ storeUid: '', incarnation: 0n, highestEpoch: undefined });
});

test('a large hello comes in parts that lose and repeat nothing, only the last of which says so', () => {
  const hello = parts(1_200, 1_300);
  expect(hello.length).toBeGreaterThan(2);
  expect(hello.map(({ last }) => last)).toEqual([...hello.slice(1).map(() => false), true]);
  expect(hello.every(({ hostId }) => hostId === 'h1')).toBe(true);
  expect(hello.every(({ attachments, tables }) => attachments.length + tables.length <= 1_000)).toBe(true);
  const ids = (count: number) => Array.from({ length: count }, (_, i) => `n${i}`);
  expect(hello.flatMap(({ attachments }) => attachments.map(({ networkId }) => networkId))).toEqual(ids(1_200));
  expect(hello.flatMap(({ tables }) => tables.map(({ networkId }) => networkId))).toEqual(ids(1_300));
});
