// `leasehold doctor`

import { command } from '../command.js';
import { examine, unreachable } from '../doctor/checks.js';
import { attempt, readAll } from '../doctor/read.js';
import { exitCode } from '../errors.js';
import { type Finding, report } from '../findings.js';

/** The command that looks for what is wrong. */
export const doctorCommands = [
  command({
    path: ['doctor'],
    summary: 'Looks whether everything is well, and says what to do where it is not',
    args: {},
    flags: {},
    examples: ['doctor', 'doctor -o json'],
    async run(leasehold, _args, _flags, nowMs) {
      const status = await attempt(() => leasehold.status());
      if (!status.ok)
        return report([unreachable(status.error)], 'No status: nothing more can be said', exitCode(status.error));
      const findings = examine(await readAll(leasehold, status.value, nowMs));
      const problems = countOf(findings, 'problem');
      return report(findings, verdict(problems, countOf(findings, 'warning')), problems > 0 ? 1 : 0);
    },
  }),
];

function countOf(findings: readonly Finding[], wanted: Finding['severity']): number {
  return findings.filter(({ severity }) => severity === wanted).length;
}

function verdict(problems: number, warnings: number): string {
  const worth = warnings > 0 ? `${warnings} ${warnings === 1 ? 'warning' : 'warnings'}` : '';
  if (problems > 0) return `${problems} ${problems === 1 ? 'problem' : 'problems'}${worth && `, ${worth}`}`;
  return worth ? `Nothing is broken, ${worth}` : 'All is well';
}
