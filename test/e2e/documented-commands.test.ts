// The commands of README and docs, as they stand there. Changed is only where files go: what a page puts into /tmp, /var/lib or
// /etc is of this test here. (docs/cli.md: sdk/src/cli/run.test.ts; sdk/README.md: sdk-readme.test.ts.)

import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { hasMongod } from '../support/mongod-binary.js';
import { Lab } from '../support/netns.js';
import { WatchedProcess } from '../support/processes.js';
import { repositoryRoot } from '../support/repository.js';
import { type Outcome, run, systemEnv } from '../support/run.js';
import { temporaryDirectory } from '../support/sandbox.js';
import { sharedReplicaSet } from '../support/shared-replica-set.js';

const directory = temporaryDirectory('documented-');
afterAll(() => directory[Symbol.dispose]());

const bin = join(directory.path, 'bin');
mkdirSync(bin);
for (const program of ['server/bin/leasehold-server.js', 'agent/bin/leasehold-agent.js', 'sdk/bin/leasehold.js']) {
  symlinkSync(join(repositoryRoot, program), join(bin, basename(program, '.js')));
}
const env = { ...systemEnv(), PATH: `${bin}:${systemEnv()['PATH']}` } as Readonly<Record<string, string>>;

const { scripts } = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};

interface Block {
  readonly kind: string;
  /** Of a shell: its commands, without prompts, each whole. */
  readonly commands: readonly string[];
  readonly text: string;
}

/** The blocks of a page that say what they are. */
function blocksOf(page: string): readonly Block[] {
  const text = readFileSync(join(repositoryRoot, page), 'utf8');
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, kind = '', block = '']) => {
    const commands = [...block.matchAll(/^[$#] ((?:.*\\\n)*.*)$/gm)].map(([, command = '']) => command);
    return { kind, commands: commands.map((command) => command.replace(/\s{2,}#.*$/, '')), text: block };
  });
}

/** The only block with a command that begins so. */
function blockWith(page: string, beginning: string): Block {
  const found = blocksOf(page).filter(({ commands }) => commands.some((command) => command.startsWith(beginning)));
  const [block] = found;
  if (!block || found.length > 1) throw new Error(`${page} has ${found.length} blocks with ${beginning}`);
  return block;
}

const here = (text: string) => text.replaceAll(/\/(tmp|var\/lib|etc|run)\/(?=leasehold)/g, `${directory.path}/`);

/** A shell runs it; throws when it fails, with what it said. */
async function shell(script: string, cwd: string, around: readonly string[] = []): Promise<string> {
  const [program, ...args] = [...around, 'bash', '-e', '-o', 'pipefail', '-c', script] as const;
  const outcome: Outcome = await run(program, args, { cwd, env });
  if (outcome.code === 0) return outcome.stdout + outcome.stderr;
  throw new Error(`${script}\nexited with ${outcome.code}: ${outcome.stdout}${outcome.stderr}`);
}

describe('README.md', () => {
  test('its two commands are there, and it names every package that CI installs', () => {
    const { commands } = blockWith('README.md', 'npm ci && npm run demo');
    expect(commands.map((command) => /&& npm (?:run )?(\w+)/.exec(command)?.[1])).toEqual(['demo', 'test']);
    for (const name of ['demo', 'test']) expect(scripts[name]).toBeDefined();
    const named = blockWith('README.md', 'apt-get install').commands[0]?.split(' ') ?? [];
    const ci = readFileSync(join(repositoryRoot, '.ci/run'), 'utf8');
    const [, pairs = ''] = /for pair in (.*?); do/s.exec(ci) ?? [];
    const installed = [...pairs.matchAll(/\S+:(\S+)/g)].map(([, name]) => name);
    expect(installed.length).toBeGreaterThan(5);
    expect(named).toEqual(expect.arrayContaining(installed));
  });

  test('the first steps by hand end with a guest that has its address', { timeout: 120_000 }, async () => {
    const [start = ''] = blockWith('README.md', 'npm start').commands;
    // The build is done, and others may be at work with it.
    const [, program = ''] = /&& (.*)$/.exec(scripts['start'] ?? '') ?? [];
    const [command = '', ...args] = here(start.replace('npm start --', program)).split(' ');
    await using server = new WatchedProcess(join(repositoryRoot, command), args, { cwd: directory.path });
    await server.waitForLine('is ready');
    const before = await shell(
      blockWith('README.md', 'npx leasehold network create').commands.join('\n'),
      repositoryRoot,
    );
    expect(before).toContain('1 more wanted, and no other live host has the network on a ready interface');

    const host = blockWith('README.md', 'unshare');
    const [enter = '', ...steps] = host.commands.map(here);
    const ask = steps.pop();
    const patient = `for n in 1 2 3 4 5; do ${ask} && break; done`;
    // Until then it is a shell of a person, who looks from a second one.
    const held = `read -r < ${directory.path}/done; kill %1; wait`;
    await shell(`mkfifo ${directory.path}/done`, directory.path);
    const inside = writeScript('host.sh', [...steps, patient, held]);
    expect(enter).toMatch(/ bash$/);
    await using shellOfHost = new WatchedProcess('bash', ['-c', `${enter} -e ${inside}`], { cwd: repositoryRoot, env });
    const { text } = await shellOfHost.waitForLine('lease of');
    const masked = (line = '') => line.replaceAll(/\d+\.\d+\.\d+\.\d+/g, 'ADDRESS');
    expect(host.text.split('\n').map(masked)).toContain(masked(text));

    const looks = await shell(blockWith('README.md', 'npx leasehold host list').commands.join('\n'), repositoryRoot);
    for (const what of ['h1', 'serving', 'vm-42/nic0']) expect(looks).toContain(what);
    await shell(`echo > ${directory.path}/done`, directory.path);
    expect(await shellOfHost.exited).toBe(0);

    const reflected = blockWith('README.md', 'npx buf curl').commands;
    for (const each of reflected) {
      const isThere = !each.startsWith('grpcurl') || (await run('grpcurl', ['--version'])).code === 0;
      if (!isThere) console.log('Not run, because there is no grpcurl here:', each);
      else if (each.includes('10.0.0.1"'))
        await expect(shell(each, repositoryRoot)).rejects.toThrow(/is the gateway of subnet/);
      else await shell(each, repositoryRoot);
    }
  });
});

function writeScript(name: string, lines: readonly string[]): string {
  const path = join(directory.path, name);
  writeFileSync(path, lines.join('\n'));
  return path;
}

describe('CONTRIBUTING.md', () => {
  test('what it calls is there', () => {
    for (const command of blockWith('CONTRIBUTING.md', 'npm run build').commands) {
      const [, script] = /^npm (?:run )?(\S+)/.exec(command) ?? [];
      if (script && script !== 'ci') expect(Object.keys(scripts)).toContain(script);
      for (const path of command.split(' ').filter((word) => word.includes('/'))) {
        expect({ path, isThere: existsSync(join(repositoryRoot, path)) }).toEqual({ path, isThere: true });
      }
    }
  });
});

describe('docs/operations.md', () => {
  test('the first cluster with TLS: server, agent and operator know each other', async () => {
    await using lab = new Lab();
    const namespace = await lab.namespace('tls');
    await lab.bridge(namespace, 'br-red');
    await namespace.addAddress('lo', '10.0.0.1/32');
    const cwd = join(directory.path, 'tls');
    mkdirSync(cwd);
    const { commands } = blockWith('docs/operations.md', 'leasehold-server pki init');
    await shell(commands.slice(0, -1).join('\n'), cwd);
    const begin = (command: string) => new WatchedProcess('bash', ['-c', `exec ${command}`], { namespace, cwd, env });
    await using server = begin(`${commands.at(-1)}`);
    await server.waitForLine('is ready');
    await shell('cp pki/host-h1.* pki/ca.crt .', cwd);
    const [follow] = blockWith('docs/operations.md', 'leasehold-agent --server').commands;
    await using agent = begin(`${follow} --state-dir state`);
    await agent.waitForLine('Connected to the control plane');
    const shown = '--tls-cert pki/engine-ovirt.crt --tls-key pki/engine-ovirt.key --tls-ca pki/ca.crt';
    const inside = ['ip', 'netns', 'exec', namespace.name];
    expect(await shell(`leasehold --server 10.0.0.1:7067 ${shown} host get h1`, cwd, inside)).toMatch(/\bup\b/);
  });

  test('the files of the services start a server and an agent', async () => {
    await using lab = new Lab();
    const namespace = await lab.namespace('files');
    await lab.bridge(namespace, 'br-red');
    const [serverFile, agentFile] = blocksOf('docs/operations.md').filter(({ kind }) => kind === 'json');
    const files = join(directory.path, 'leasehold');
    mkdirSync(files, { recursive: true });
    writeFileSync(join(files, 'networks'), 'red=br-red\n');
    const begin = (program: string, { text = '' }: Partial<Block> = {}) => {
      const config = writeScript(`${program}.json`, [here(text)]);
      return new WatchedProcess(join(bin, program), ['--config', config], { namespace, cwd: directory.path });
    };
    await using server = begin('leasehold-server', serverFile);
    await server.waitForLine('is ready');
    await using agent = begin('leasehold-agent', agentFile);
    await agent.waitForLine('Connected to the control plane');
    const listed = await shell('leasehold host get h1', directory.path, ['ip', 'netns', 'exec', namespace.name]);
    for (const what of ['rack-1', 'br-red']) expect(listed).toContain(what);
  });

  test('the units start programs that are there', () => {
    const units = blocksOf('docs/operations.md').filter(({ kind }) => kind === 'ini');
    expect(units).toHaveLength(2);
    for (const { text } of units) {
      const [, program = ''] = /^ExecStart=\/opt\/leasehold\/(\S+) --config /m.exec(text) ?? [];
      expect({ program, isThere: existsSync(join(repositoryRoot, program)) }).toEqual({ program, isThere: true });
    }
  });
});

describe.skipIf(!(await hasMongod()))('docs/moving-stores.md', () => {
  const mongo = sharedReplicaSet({ nodes: 1 });

  test('a store is moved to MongoDB', async () => {
    const [stop, ...moves] = blockWith('docs/moving-stores.md', 'leasehold-server export').commands;
    // There is no systemd here, and the server is not started.
    expect(stop).toBe('systemctl stop leasehold-server');
    const script = here(moves.join('\n')).replace(/mongodb:[^']*/, mongo.freshUri());
    const data = join(directory.path, 'leasehold');
    mkdirSync(data, { recursive: true });
    const args = ['--insecure', '--store', `embedded:${join(data, 'data')}`, '--metrics-listen', 'off'];
    await using server = new WatchedProcess(join(bin, 'leasehold-server'), args, { cwd: directory.path });
    await server.waitForLine('is ready');
    await shell('leasehold network create moved', directory.path);
    await server.stop();
    expect(await shell(script, directory.path)).toMatch(/network/);
    expect(readFileSync(join(data, 'leasehold.jsonl'), 'utf8')).toContain('moved');
  });
});
