// `npm test`: every test, inside a sandbox, with one plain line at the end: `N passed, N failed`.
//
// Further arguments go to vitest: `npm test -- test/e2e/serving.test.ts`. What could not be run is said in one line;
// under CI that is a failure, so that a machine that lost its namespaces does not stay green.
//
// Without arguments unit tests run beside the end-to-end tests, which wait most of their time, in a sandbox of their own and
// with what those leave of the processors.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findMongod, MONGOD_VARIABLE, type MongodBinary } from './mongod-binary.js';
import { repositoryRoot } from './repository.js';
import { type Entrance, findEntrance, inSandbox, supervised, temporaryDirectory } from './sandbox.js';
import { missingTools } from './tools.js';
import { formatTotals, type Report, type Totals, totalOf, totalsOf } from './totals.js';
import { findUdhcpc } from './udhcpc-binary.js';

async function main(args: readonly string[]): Promise<number> {
  using temporary = temporaryDirectory('leasehold-test-');
  process.chdir(repositoryRoot);
  const [entrance, mongod] = await Promise.all([findEntrance(), findMongod()]);
  const env = { TMPDIR: temporary.path, ...(mongod.ok ? { [MONGOD_VARIABLE]: mongod.path } : {}) };
  const reports: string[] = [];
  const vitest = (...more: readonly string[]): readonly string[] => {
    const report = join(temporary.path, `report-${reports.length}.json`);
    reports.push(report);
    const program = join(repositoryRoot, 'node_modules/vitest/vitest.mjs');
    return [program, 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...args, ...more];
  };
  const code = entrance.ok
    ? await runInside(entrance, args.length === 0 ? ['e2e', 'unit'] : [], vitest, env)
    : await supervised(process.execPath, vitest('--project', 'unit'), env);
  const written = reports.filter((report) => existsSync(report));
  if (code > 128 && written.length < reports.length) return code;

  const totals = totalOf(written.map((report) => totalsOf(JSON.parse(readFileSync(report, 'utf8')) as Report)));
  if (code !== 0 && totals.failed === 0) console.log(`vitest exited with ${code} although no test failed: see above`);
  const notRun = await omissions(entrance, mongod, totals);
  for (const line of notRun) console.log(line);
  console.log(formatTotals(totals));
  if (code !== 0 || totals.failed > 0) return 1;
  return notRun.length > 0 && process.env['CI'] === 'true' ? 1 : 0;
}

/** What was not run for want of something here, a line each. Skipped tests are those that want a program. */
async function omissions(entrance: Entrance, mongod: MongodBinary, totals: Totals): Promise<readonly string[]> {
  const lines: string[] = [];
  if (!entrance.ok) lines.push(`Not run: the e2e tests, because namespaces cannot be made here (${entrance.why})`);
  if (totals.skipped === 0) return lines;
  if (!mongod.ok) lines.push(`Not run: the MongoDB tests, because ${mongod.problem}`);
  return entrance.ok ? [...lines, ...(await missingTools())] : lines;
}

/** These projects side by side, the first of them before the others; none: whatever `vitest` runs. */
async function runInside(
  entrance: Entrance & { readonly ok: true },
  projects: readonly string[],
  vitest: (...more: readonly string[]) => readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  // What guests need from outside is fetched before, as mongod is, because inside there is no way out.
  const udhcpc = await findUdhcpc();
  if (!udhcpc.ok) console.log(udhcpc.problem);
  if (projects.length === 0) return inSandbox(entrance, process.execPath, vitest(), env);
  const colors = process.stdout.isTTY ? { ...env, FORCE_COLOR: '1' } : env;
  const codes = await Promise.all(
    projects.map((project, nth) => {
      const command = [...(nth === 0 ? [] : BEHIND), process.execPath, ...vitest('--project', project)] as const;
      const [program = '', ...rest] = command;
      return inSandbox(entrance, program, rest, colors, (line) => console.log(`${project.padEnd(5)}${line}`));
    }),
  );
  return Math.max(...codes);
}

// Where sessions share the processors evenly, as they do on a desktop, it is the session that must step back.
const BEHIND = ['sh', '-c', '(echo 19 >/proc/self/autogroup) 2>/dev/null; exec nice -n 19 "$@"', 'behind'];

process.exitCode = await main(process.argv.slice(2));
