// The flood's process, in the guest's namespace: `flood-program IFACE COUNTS_PER_SECOND`. A line of JSON four times a second
// and at its end (SIGTERM) with what it sent so far.

import { MESSAGE_TYPE, OPTION } from '@leasehold/agent/domain/dhcp/codes';
import { u8 } from '@leasehold/agent/domain/dhcp/option-values';
import type { Mac } from '@leasehold/proto/values';
import { seededNumbers } from '../fakes/seeded-numbers.js';
import type { FloodCounts } from './flood.js';
import { clientMessage, openGuestSocket } from './guest-socket.js';

const EVERY_MS = 5;
const REPORT_MS = 250;
// After a pause it was not let run, the rate is not made up for: that would be another flood.
const MOST_MS = 50;

const XID = 4;
const CHADDR = 28;
const NOBODY = '06:00:00:00:00:00' as Mac;

const [interfaceName = '', rates = ''] = process.argv.slice(2);
const perSecond = JSON.parse(rates) as FloodCounts;
const random = seededNumbers(1);
const socket = openGuestSocket(interfaceName, () => undefined);

const discover = clientMessage(NOBODY, 0, [[OPTION.messageType, u8(MESSAGE_TYPE.discover)]]);
const long = Buffer.concat([discover, Buffer.alloc(3_000 - discover.length)]);
const huge = Buffer.alloc(65_507, discover);
let strangers = 0;

function stranger(message: Buffer): Buffer {
  const one = Buffer.from(message);
  one.writeUInt32BE(++strangers, XID);
  one.writeUInt32BE(strangers, CHADDR + 2);
  return one;
}

const messages: Readonly<Record<keyof FloodCounts, () => Buffer>> = {
  unknown: () => stranger(discover),
  fragmented: () => stranger(long),
  truncated: () => discover.subarray(0, Math.floor(random() * 240)),
  garbage: () => Buffer.from(Array.from({ length: Math.floor(random() * 1_472) }, () => Math.floor(random() * 256))),
  huge: () => huge,
};
const KINDS = Object.keys(messages) as (keyof FloodCounts)[];
const sent = { unknown: 0, fragmented: 0, truncated: 0, garbage: 0, huge: 0 };
const due = { ...sent };

function report(): void {
  process.stdout.write(`${JSON.stringify(sent)}\n`);
}

let lastMs = performance.now();
const sending = setInterval(() => {
  const now = performance.now();
  const seconds = Math.min(now - lastMs, MOST_MS) / 1_000;
  lastMs = now;
  for (const kind of KINDS) {
    due[kind] += perSecond[kind] * seconds;
    for (; due[kind] >= 1; due[kind]--) {
      socket.send(messages[kind]());
      sent[kind]++;
    }
  }
}, EVERY_MS);
const reporting = setInterval(report, REPORT_MS);

process.on('SIGTERM', () => {
  clearInterval(sending);
  clearInterval(reporting);
  // What was sent last is still on its way to the kernel.
  setImmediate(() => {
    report();
    process.exit(0);
  });
});
