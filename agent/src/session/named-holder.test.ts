import { describe, expect, test } from 'vitest';
import { fromRefusal, isLater, isOver } from './named-holder.js';

const KNOWN = { storeUid: 'u', incarnation: 2n, highestEpoch: { holderEpoch: 5n, counter: 9n } };

const named = (holder_epoch: string, more: Record<string, string> = {}) => {
  const said = { agent_endpoint: 'b:7069', store_uid: 'u', incarnation: '2', holder_epoch, ...more };
  return fromRefusal(said) ?? { endpoint: 'nobody' };
};

describe('a named holder', () => {
  test('of an epoch that was seen, or a later one, may lead', () => {
    expect([named('5'), named('6')].map((holder) => isOver(holder, KNOWN))).toEqual([false, false]);
  });

  test('of an earlier epoch, or an earlier incarnation whatever its epoch, is over', () => {
    expect([named('4'), named('99', { incarnation: '1' })].map((holder) => isOver(holder, KNOWN))).toEqual([
      true,
      true,
    ]);
  });

  test('of a later incarnation or of another store may lead with a lower epoch', () => {
    const others = [named('1', { incarnation: '3' }), named('1', { store_uid: 'other' })];
    expect(others.map((holder) => isOver(holder, KNOWN))).toEqual([false, false]);
  });

  test('may lead when the agent knows nothing, or the server says nothing of its store', () => {
    expect(isOver(named('1'), undefined)).toBe(false);
    expect(isOver(named('', { store_uid: '' }), KNOWN)).toBe(false);
  });
});

test('only a later holder of the same store and incarnation, that says so, leads after the one whose session was the last', () => {
  const others = [named('5'), named('9', { incarnation: '3' }), named('9', { store_uid: 'v' }), named('x')];
  expect([named('6'), ...others].map((holder) => isLater(holder, KNOWN))).toEqual([true, false, false, false, false]);
  expect(isLater(named('6'), undefined)).toBe(false);
  expect(isLater(named('x'), undefined)).toBe(false);
});

test('a refusal without an endpoint names nobody, and numbers that are none are not read', () => {
  expect(fromRefusal({ holder: 's2' })).toBeUndefined();
  expect(named('-1')).toEqual({ endpoint: 'b:7069' });
  expect(named('1', { incarnation: 'x' })).toEqual({ endpoint: 'b:7069' });
});
