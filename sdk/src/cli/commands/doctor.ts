// `leasehold doctor`

import { command, type Shell } from '../command.js';
import { certificateEnd } from '../doctor/certificates.js';
import { examine, ownCertificateFindings, type SeenServer, unreachable } from '../doctor/checks.js';
import { attempt, readAll } from '../doctor/read.js';
import { exitCode } from '../errors.js';
import { type Finding, report } from '../findings.js';
import type { Output } from '../output.js';

/** The command that looks for what is wrong. */
export const doctorCommands = [
  command({
    path: ['doctor'],
    summary: 'Looks whether everything is well, and says what to do where it is not',
    args: {},
    flags: {},
    examples: ['doctor', 'doctor -o json'],
    async run(leasehold, _args, _flags, localMs, shell) {
      const [servers, pem] = await Promise.all([askEach(shell), shell.ownCertificate()]);
      const ownCertificateEnd = pem === undefined ? undefined : certificateEnd(pem);
      const first = servers.map(({ status }) => status).find(({ ok }) => ok);
      if (!first?.ok) return nobodyAnswers(servers, ownCertificateFindings(ownCertificateEnd, localMs));
      const status = first.value;
      const findings = examine({
        // All times are by the server's clock; this machine's may go wrong.
        nowMs: status.time?.getTime() ?? localMs,
        servers,
        ownCertificateEnd,
        status,
        ...(await readAll(leasehold, status)),
      });
      const problems = countOf(findings, 'problem');
      return report(findings, verdict(problems, countOf(findings, 'warning')), problems > 0 ? 1 : 0);
    },
  }),
];

/** How each server that is named is by its own word: a client that knows them all stays with the first that answers. */
async function askEach(shell: Shell): Promise<readonly SeenServer[]> {
  const clients = shell.clientsOfEach();
  try {
    return await Promise.all(
      clients.map(async ({ name, leasehold }) => ({ name, status: await attempt(() => leasehold.status()) })),
    );
  } finally {
    for (const { leasehold } of clients) await leasehold.close();
  }
}

function nobodyAnswers(servers: readonly SeenServer[], also: readonly Finding[]): Output {
  const errors = servers.flatMap(({ status }) => (status.ok ? [] : [status.error]));
  const findings = servers.flatMap((server) => unreachable(server, servers.length > 1));
  return report([...findings, ...also], 'No status: nothing more can be said', Math.max(...errors.map(exitCode)));
}

function countOf(findings: readonly Finding[], wanted: Finding['severity']): number {
  return findings.filter(({ severity }) => severity === wanted).length;
}

function verdict(problems: number, warnings: number): string {
  const worth = warnings > 0 ? `${warnings} ${warnings === 1 ? 'warning' : 'warnings'}` : '';
  if (problems > 0) return `${problems} ${problems === 1 ? 'problem' : 'problems'}${worth && `, ${worth}`}`;
  return worth ? `Nothing is broken, ${worth}` : 'All is well';
}
