import { describe, expect, test } from 'vitest';
import { type HeardAnswer, wireViolations } from './wire-invariants.js';

const MAC = '52:54:00:00:00:01';
const SERVER = '169.254.1.1';
const promises = { addresses: new Map([[MAC, ['10.0.0.1', '10.0.0.2']]]), naks: new Set<string>() };

function answer(kind: HeardAnswer['kind'], address: string, more: Partial<HeardAnswer> = {}): HeardAnswer {
  return { kind, mac: MAC, address, serverId: SERVER, ...more };
}

describe('nothing is wrong with', () => {
  test.each([
    ['silence', []],
    ['what is promised', [answer('offer', '10.0.0.1'), answer('ack', '10.0.0.1')]],
    ['a newer promise', [answer('ack', '10.0.0.1'), answer('offer', '10.0.0.2'), answer('ack', '10.0.0.2')]],
    ['an answer to INFORM', [answer('ack', '0.0.0.0')]],
  ])('%s', (_, answers) => expect(wireViolations(answers, promises)).toEqual([]));

  test('a NAK that is announced', () =>
    expect(wireViolations([answer('nak', '0.0.0.0')], { ...promises, naks: new Set([MAC]) })).toEqual([]));
});

test.each([
  ['another address', [answer('offer', '10.0.0.3')], 'it has 10.0.0.1, then 10.0.0.2'],
  ['no address', [answer('offer', '0.0.0.0')], 'it has 10.0.0.1, then 10.0.0.2'],
  ['the old address again', [answer('ack', '10.0.0.2'), answer('ack', '10.0.0.1')], 'it has 10.0.0.1, then 10.0.0.2'],
  ['a stranger', [answer('offer', '10.0.0.1', { mac: '52:54:00:00:00:02' })], 'nothing is promised to it'],
  ['a refused stranger', [answer('nak', '0.0.0.0', { mac: '52:54:00:00:00:02' })], 'nothing is promised to it'],
  ['a NAK', [answer('nak', '0.0.0.0')], 'it is refused nothing'],
  [
    'a second server',
    [answer('ack', '10.0.0.1'), answer('ack', '10.0.0.1', { serverId: '10.0.0.9' })],
    `the server is ${SERVER}`,
  ],
])('told of: %s', (_, answers, why) => {
  const violations = wireViolations(answers, promises);
  expect(violations).toHaveLength(1);
  expect(violations[0]).toContain(why);
});
