// `leasehold reservation release`

import type { Leasehold } from '../../connect.js';
import { LeaseholdError } from '../../errors.js';
import type { Reservation } from '../../reservations.js';
import { command, PAGES } from '../command.js';
import { exitCode, said } from '../errors.js';
import { type Finding, report } from '../findings.js';
import { someText, toggle } from '../flags.js';
import { list, type Output } from '../output.js';
import { RESERVATIONS } from './reservation.js';

const BATCH = 500;

/** The command that gives back many addresses at once. */
export const releaseManyCommands = [
  command({
    path: ['reservation', 'release'],
    summary: 'Gives back all addresses that fit, as of a guest that is gone or a subnet that shall be deleted',
    args: {},
    flags: {
      network: someText('ID', 'Only of this network'),
      subnet: someText('ID', 'Only of this subnet'),
      mac: someText('MAC', 'Only of this MAC'),
      owner: someText('TEXT', 'Only of exactly this owner'),
      guestStopped: toggle(
        'You vouch that their guests no longer use them; else the lease time is added to their rest',
        'false',
      ),
      dryRun: toggle('Release nothing, and list what would be released', 'false'),
      progress: toggle('Say on stderr how far it is', 'on a terminal'),
    },
    examples: [
      'reservation release --owner vm-42/nic0 --guest-stopped',
      'reservation release --subnet red-a --dry-run',
    ],
    async run(leasehold, _, { network, subnet, mac, owner, guestStopped, dryRun, progress }, _nowMs, shell) {
      if ([network, subnet, mac, owner].every((filter) => !filter)) {
        return { kind: 'usage', problem: 'say which: --network, --subnet, --mac or --owner' };
      }
      const filter = { networkId: network, subnetId: subnet, mac, owner, state: 'reserved' as const };
      const found = await leasehold.reservations.list(filter, PAGES).toArray();
      if (dryRun) return list(RESERVATIONS, found);
      try {
        return await release(leasehold, found, guestStopped, (said) => shell.progress(said, progress));
      } finally {
        shell.progress('', progress);
      }
    },
  }),
];

/** Releases exactly these tenures: who got an address meanwhile keeps it. */
async function release(
  leasehold: Leasehold,
  found: readonly Reservation[],
  guestStopped: boolean | undefined,
  say: (said: string) => void,
): Promise<Output> {
  const findings: Finding[] = [];
  let released = 0;
  let code = 0;
  try {
    for (let begin = 0; begin < found.length; begin += BATCH) {
      const batch = found.slice(begin, begin + BATCH);
      const requests = batch.map(({ reservationId }) => ({ reservationId, guestStopped }));
      for (const [index, result] of (await leasehold.reservations.releaseMany(requests)).entries()) {
        if (result.ok) released++;
        else findings.push(refused(`${batch[index]?.address} of ${batch[index]?.subnetId}`, result.error));
      }
      say(`${released} of ${found.length} released`);
    }
  } catch (error) {
    if (!(error instanceof LeaseholdError)) throw error;
    findings.push(refused('the rest', error));
    code = exitCode(error);
  }
  const verdict = `${released} released${findings.length > 0 ? `, ${found.length - released} are not` : ''}`;
  const facts = { released, not_released: found.length - released };
  return report(findings, verdict, Math.max(code, findings.length > 0 ? 1 : 0), facts);
}

function refused(about: string, error: LeaseholdError): Finding {
  const next = 'Look at what is there, and release again: what is released stays so';
  return { check: 'release', severity: 'problem', about, what: said(error), next };
}
