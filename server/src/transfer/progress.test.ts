import { beforeEach, describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../test/fakes/virtual-clock.js';
import { formatCounts, Progress } from './progress.js';

let clock: VirtualClock;
let written: string;
beforeEach(() => {
  clock = new VirtualClock();
  written = '';
});

const progressOn = (isTTY: boolean) =>
  new Progress(clock, { isTTY, write: (text) => (written += text) }, 'leasehold-server import');

describe('progress', () => {
  test('elsewhere than on a terminal is a line every five seconds', async () => {
    const progress = progressOn(false);
    for (let n = 1; n <= 12; n++) {
      await clock.advance(1_000);
      progress.now(() => `${n} so far`);
    }
    progress.say('done');
    expect(written.trimEnd().split('\n')).toEqual([
      'leasehold-server import: 5 so far',
      'leasehold-server import: 10 so far',
      'leasehold-server import: done',
    ]);
  });

  test('on a terminal is one line that changes, and is gone before another is said', async () => {
    const progress = progressOn(true);
    for (let n = 1; n <= 3; n++) {
      await clock.advance(150);
      progress.now(() => `${n} so far`);
    }
    progress.say('done');
    const start = '\r\u001b[K';
    expect(written).toBe(`${start}leasehold-server import: 2 so far${start}leasehold-server import: done\n`);
  });
});

test('counts are said as people say them', () => {
  expect(formatCounts({ networks: 1, hosts: 2, slots: 1_000_000, history: 0, audit: 1 })).toBe(
    '1 network, 2 hosts, 1,000,000 addresses, 0 ended tenures, 1 audit event',
  );
});
