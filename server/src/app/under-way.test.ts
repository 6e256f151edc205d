import { describe, expect, test } from 'vitest';
import type { NetworkId, Revision, Uid } from '../domain/ids.js';
import type { Network } from '../domain/network.js';
import { UnderWay } from './under-way.js';

const RED = 'red' as NetworkId;

const document = (revision: number, uid = 'u1') =>
  ({ networkId: RED, uid: uid as Uid, revision: revision as Revision }) as Network;

/** A write over the first document, and what is thought of it while the view shows another. */
function written() {
  const underWay = new UnderWay();
  const [over, after] = [document(1), document(1)];
  underWay.begin(over, after);
  const showing = (...shown: readonly Network[]) => underWay.applied(new Map(shown.map((each) => [RED, each])));
  return { underWay, over, after, showing };
}

describe('a network that is being written', () => {
  test('counts as it will be, while the same document is shown, also when that was read again', () => {
    const { underWay, over, after, showing } = written();
    for (const same of [over, document(1)]) {
      expect(showing(same)[0]).toBe(after);
      expect(underWay.has(RED)).toBe(true);
    }
  });

  test.each([
    ['a newer one', [document(2)]],
    ['one that was made again', [document(1, 'u2')]],
    ['none', []],
  ])('is as the view shows it once that is %s', (_, shown) => {
    const { underWay, showing } = written();
    expect(showing(...shown)).toEqual(shown);
    expect(underWay.has(RED)).toBe(false);
  });

  test('is still being written when an earlier write of it fails', () => {
    const { underWay, over, showing } = written();
    const newer = document(2);
    showing(newer);
    underWay.begin(newer, document(2));
    underWay.forget(over);
    expect(underWay.has(RED)).toBe(true);
    underWay.forget(newer);
    expect(underWay.has(RED)).toBe(false);
  });
});
