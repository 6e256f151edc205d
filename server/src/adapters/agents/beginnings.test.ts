import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../../test/fakes/virtual-clock.js';
import type { HostId } from '../../domain/ids.js';
import { Beginnings } from './beginnings.js';

const H1 = 'h1' as HostId;
const H2 = 'h2' as HostId;

function start() {
  const clock = new VirtualClock(0);
  const beginnings = new Beginnings(clock);
  /** When each had its turn, or `superseded`. */
  const turns: (number | 'superseded')[] = [];
  const come = (hostId: HostId) =>
    void beginnings.turn(hostId).then((isTurn) => void turns.push(isTurn ? clock.now() : 'superseded'));
  return { clock, turns, come };
}

describe('sessions of one host', () => {
  test('begin at once while they are few', async () => {
    const { clock, turns, come } = start();
    for (let i = 0; i < 5; i++) come(H1);
    await clock.advance(0);
    expect(turns).toEqual([0, 0, 0, 0, 0]);
  });

  test('begin once in a second however many come, the newest of them', async () => {
    const { clock, turns, come } = start();
    for (let i = 0; i < 10_000; i += 10) {
      come(H1);
      await clock.advance(10);
    }
    const begun = turns.filter((turn) => turn !== 'superseded');
    expect(begun.length).toBeLessThanOrEqual(15);
    expect(begun.length).toBeGreaterThanOrEqual(14);
    // One waits still.
    expect(turns).toHaveLength(999);
  });

  test('begin at once again after a rest', async () => {
    const { clock, turns, come } = start();
    for (let i = 0; i < 6; i++) come(H1);
    await clock.advance(10_000);
    for (let i = 0; i < 5; i++) come(H1);
    await clock.advance(0);
    expect(turns).toEqual([0, 0, 0, 0, 0, 1_000, 10_000, 10_000, 10_000, 10_000, 10_000]);
  });

  test('do not wait because of another host', async () => {
    const { clock, turns, come } = start();
    for (let i = 0; i < 20; i++) come(H1);
    turns.length = 0;
    come(H2);
    await clock.advance(0);
    expect(turns.filter((turn) => turn === 0)).toHaveLength(6);
  });
});
