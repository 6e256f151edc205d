// `npm test`: every test, inside a sandbox, with one plain line at the end: `N passed, N failed`.
//
// Further arguments go to vitest: `npm test -- test/e2e/serving.test.ts`. What could not be run is said in one line;
// under CI that is a failure, so that a machine that lost its namespaces does not stay green.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findMongod, MONGOD_VARIABLE, type MongodBinary } from './mongod-binary.js';
import { repositoryRoot } from './repository.js';
import { type Entrance, findEntrance, inSandbox, supervised, temporaryDirectory } from './sandbox.js';
import { missingTools } from './tools.js';
import { formatTotals, type Report, type Totals, totalsOf } from './totals.js';
import { findUdhcpc } from './udhcpc-binary.js';

async function main(args: readonly string[]): Promise<number> {
  using temporary = temporaryDirectory('leasehold-test-');
  const report = join(temporary.path, 'report.json');
  const vitest = join(repositoryRoot, 'node_modules/vitest/vitest.mjs');
  const command = [vitest, 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...args];
  process.chdir(repositoryRoot);

  const [entrance, mongod] = await Promise.all([findEntrance(), findMongod()]);
  const env = { TMPDIR: temporary.path, ...(mongod.ok ? { [MONGOD_VARIABLE]: mongod.path } : {}) };
  const code = entrance.ok
    ? await runAll(entrance, command, env)
    : await supervised(process.execPath, [...command, '--project', 'unit'], env);
  if (code > 128 && !existsSync(report)) return code;

  const totals = existsSync(report)
    ? totalsOf(JSON.parse(readFileSync(report, 'utf8')) as Report)
    : { passed: 0, failed: 0, skipped: 0 };
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

/** What guests need from outside is fetched before, as mongod is, because inside there is no way out. */
async function runAll(
  entrance: Entrance & { readonly ok: true },
  command: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const udhcpc = await findUdhcpc();
  if (!udhcpc.ok) console.log(udhcpc.problem);
  return inSandbox(entrance, process.execPath, command, env);
}

process.exitCode = await main(process.argv.slice(2));
