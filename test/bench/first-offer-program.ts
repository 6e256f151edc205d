// An engine and a guest in one process, in the guest's namespace: reserves, and asks by DHCP the moment the reply is
// there. A DISCOVER that comes before the agent knows the reservation is met with silence, so it is repeated every
// millisecond, which no real client does.

import { MESSAGE_TYPE, OPTION } from '@leasehold/agent/domain/dhcp/codes';
import { u8 } from '@leasehold/agent/domain/dhcp/option-values';
import { formatIpv4, type Mac } from '@leasehold/proto/values';
import { connect } from '@leasehold/sdk';
import { clientMessage, openGuestSocket, serverMessage } from '../support/guest-socket.js';
import { percentile } from './benchmark.js';
import { childArgument, childResult } from './child.js';
import type { FirstOfferResult, FirstOfferTask } from './first-offer.js';
import { macOf } from './load.js';

const REPEAT_MS = 1;
// Between two samples everything comes to rest.
const PAUSE_MS = 10;
const WARM_UP = 50;

const task = childArgument<FirstOfferTask>();
const leasehold = connect({ server: task.endpoint });
let xid = 0;
let waiting: { readonly xid: number; readonly offered: (address: string) => void } | undefined;

const socket = openGuestSocket(task.interfaceName, (bytes) => {
  const answer = serverMessage(bytes);
  if (!answer || answer.xid !== waiting?.xid || answer.options.get(OPTION.messageType)?.[0] !== MESSAGE_TYPE.offer)
    return;
  waiting.offered(formatIpv4(answer.yiaddr));
});

/** Asks until there is an OFFER. */
async function discover(mac: string): Promise<{ ms: number; address: string; asked: number }> {
  const message = clientMessage(mac as Mac, ++xid, [[OPTION.messageType, u8(MESSAGE_TYPE.discover)]]);
  const startedMs = performance.now();
  let asked = 1;
  const offer = new Promise<string>((offered) => {
    waiting = { xid, offered };
  });
  socket.send(message);
  const timer = setInterval(() => {
    asked++;
    socket.send(message);
  }, REPEAT_MS);
  const address = await offer;
  const ms = performance.now() - startedMs;
  clearInterval(timer);
  waiting = undefined;
  return { ms, address, asked };
}

async function reserveAndDiscover(mac: string): Promise<{ ms: number; asked: number }> {
  const { reservation } = await leasehold.reservations.reserve({ subnetId: task.subnetId, mac });
  const offer = await discover(mac);
  if (offer.address !== reservation.address)
    throw new Error(`${mac} was offered ${offer.address}, not ${reservation.address}`);
  return offer;
}

const fresh: { readonly ms: number; readonly asked: number }[] = [];
const known: number[] = [];
for (let i = 0; i < WARM_UP + task.samples; i++) {
  const sample = await reserveAndDiscover(macOf(task.firstMac + i));
  await pause();
  const control = await discover(task.knownMac);
  await pause();
  if (i < WARM_UP) continue;
  fresh.push(sample);
  known.push(control.ms);
}

const times = fresh.map(({ ms }) => ms);
const result: FirstOfferResult = {
  p50Ms: percentile(times, 0.5),
  p99Ms: percentile(times, 0.99),
  knownP50Ms: percentile(known, 0.5),
  knownP99Ms: percentile(known, 0.99),
  answeredAtOnce: fresh.filter(({ asked }) => asked === 1).length / fresh.length,
};
childResult(result);
process.exit(0);

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
