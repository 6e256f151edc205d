// perfdhcp, the load generator of Kea, as a witness that is not ours: four-way exchanges at a given rate.
//
// It plays relays: by itself it sends a giaddr, from port 67, and hears only what is sent to its own address. So it is
// given messages as guests send them (-T), port 68, and answers, which are broadcast, are turned to its address by a rule
// of nftables.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Nic } from '../support/netns.js';
import { AT, discoverTemplate, requestTemplate } from './exchange-messages.js';
import { macOf } from './load.js';

/** So many exchanges a second are offered, for so long. */
export const WITNESS_RATE = 8_000;
const WITNESS_S = 5;

const ADDRESS = '192.0.2.1';
// What it replaces are whole options, from their code on; of a MAC it wants the last octet.
const OFFSETS = [
  ...['-O', `${AT.chaddr + 5}`, '-O', `${AT.chaddr + 5}`],
  ...['-S', `${AT.serverId - 2}`, '-I', `${AT.requested - 2}`],
];

/** What it saw. */
export interface Witnessed {
  /** Exchanges from DISCOVER to ACK. */
  readonly perSecond: number;
  /** Of its DISCOVERs and REQUESTs, those without an answer, in percent. */
  readonly lostPercent: number;
}

/** Lets a guest be perfdhcp with the MACs 0 to `macs`, less one. */
export async function witness(guest: Nic, macs: number, directory: string): Promise<Witnessed> {
  const { namespace, name } = guest;
  await namespace.addAddress(name, `${ADDRESS}/32`);
  await namespace.ip(`route add default dev ${name}`);
  const hook = `add chain netdev heard in { type filter hook ingress device "${name}" priority 0; }`;
  const turn = `add rule netdev heard in udp dport 68 ip daddr set ${ADDRESS}`;
  const nft = await namespace.run('nft', [`add table netdev heard; ${hook}; ${turn}`]);
  if (nft.code !== 0) throw new Error(`nft: ${nft.stderr}`);
  const templates = Object.entries({ discover: discoverTemplate(), request: requestTemplate() });
  const messages = templates.flatMap(([type, bytes]) => {
    const file = join(directory, `perfdhcp-${type}`);
    writeFileSync(file, bytes.toString('hex'));
    return ['-T', file];
  });
  const load = ['-r', `${WITNESS_RATE}`, '-p', `${WITNESS_S}`, '-R', `${macs}`, '-b', `mac=${macOf(0)}`];
  const wire = ['-4', '-B', '-l', name, '-L', '68'];
  // It exits with 3 when it lost something.
  const { stdout, stderr } = await namespace.run('perfdhcp', [
    ...wire,
    ...load,
    ...messages,
    ...OFFSETS,
    '255.255.255.255',
  ]);
  const of = (what: RegExp) => [...stdout.matchAll(what)].map(([, value]) => Number(value));
  const [perSecond] = of(/^Rate: ([0-9.]+) 4-way/gm);
  const [sent, received] = [of(/^sent packets: (\d+)/gm), of(/^received packets: (\d+)/gm)].map(sum);
  if (perSecond === undefined || !sent || received === undefined) throw new Error(`perfdhcp: ${stderr || stdout}`);
  return { perSecond, lostPercent: (100 * (sent - received)) / sent };
}

function sum(values: readonly number[]): number {
  return values.reduce((all, each) => all + each, 0);
}
