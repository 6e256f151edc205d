// `leasehold` as people use it: in pipes and at a terminal, with completion, against a real server and a real agent.

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster, servingHosts, type TestHost } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { startProgram } from '../support/processes.js';
import { repositoryRoot } from '../support/repository.js';
import { run } from '../support/run.js';
import { Terminal } from '../support/terminal.js';
import { hasTool } from '../support/tools.js';

const [hasTmux, hasZsh, hasFish] = await Promise.all([hasTool('tmux'), hasTool('zsh'), hasTool('fish')]);

let cluster: Cluster;
let host: TestHost;
let env: Readonly<Record<string, string>>;

beforeAll(async () => {
  cluster = await Cluster.start();
  const client = cluster.client();
  await client.networks.create({ networkId: 'red' });
  await client.subnets.create({ subnetId: 'red-a', networkId: 'red', cidr: '10.1.0.0/24', gateway: '10.1.0.1' });
  host = await cluster.host('h1', ['red']);
  await servingHosts(client, 'red', 1);
  const bin = join(cluster.directory, 'bin');
  mkdirSync(bin);
  symlinkSync(join(repositoryRoot, 'sdk/bin/leasehold.js'), join(bin, 'leasehold'));
  env = { LEASEHOLD_SERVER: cluster.apiEndpoint, PATH: `${bin}:${process.env['PATH'] ?? ''}`, NO_COLOR: '' };
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

const leasehold = (...args: readonly string[]) => run('leasehold', args, { env });

function fileWith(name: string, text: string): string {
  const path = join(cluster.directory, name);
  writeFileSync(path, text);
  return path;
}

describe('an import', () => {
  const csv = 'mac,address,owner,hostname\n52:54:00:00:01:01,10.1.0.11,vm-1/nic0,web\n52:54:00:00:01:02,,vm-2/nic0,\n';

  test('writes nothing as a dry run, everything once, and nothing when it is repeated', async () => {
    const file = fileWith('hosts.csv', csv);
    const dry = await leasehold('reservation', 'import', file, '--network', 'red', '--dry-run');
    expect({ code: dry.code, stderr: dry.stderr }).toEqual({ code: 0, stderr: '' });
    expect(await cluster.client().reservations.list().toArray()).toEqual([]);
    const first = await leasehold('reservation', 'import', file, '--network', 'red');
    expect(first).toEqual({ code: 0, stdout: '2 reserved, 0 were there already\n', stderr: '' });
    const again = await leasehold('reservation', 'import', file, '--network', 'red');
    expect(again).toEqual({ code: 0, stdout: '0 reserved, 2 were there already\n', stderr: '' });
    const web = await cluster.client().reservations.get({ subnetId: 'red-a', address: '10.1.0.11' });
    expect(web).toMatchObject({ mac: '52:54:00:00:01:01', owner: 'vm-1/nic0', hostname: 'web' });
  });

  test('of what dnsmasq has, from standard input, is refused whole for one line', async () => {
    const input = 'dhcp-host=52:54:00:00:02:01,10.1.0.21\ndhcp-host=52:54:00:00:02:02,10.1.0.1\n';
    const args = ['reservation', 'import', '-', '--format', 'dnsmasq', '--network', 'red'];
    const { code, stdout } = await run('leasehold', args, { env, input });
    expect(code).toBe(1);
    expect(stdout).toContain('line 2  10.1.0.1 is the gateway of subnet red-a');
    expect(await cluster.client().reservations.list({ mac: '52:54:00:00:02:01' }).toArray()).toEqual([]);
  });

  test('of text that is not UTF-8 is bad usage', async () => {
    const path = join(cluster.directory, 'utf16.csv');
    writeFileSync(path, Buffer.from('\ufeffmac\n', 'utf16le'));
    const { code, stderr } = await leasehold('reservation', 'import', path);
    expect(code).toBe(2);
    expect(stderr).toContain('it is not UTF-8 text');
  });

  test('of thousands ends with all of them', async () => {
    const client = cluster.client();
    await client.networks.create({ networkId: 'big' });
    await client.subnets.create({ subnetId: 'big-a', networkId: 'big', cidr: '10.8.0.0/18' });
    const macs = Array.from({ length: 2_000 }, (_, n) => `5254.0001.${n.toString(16).padStart(4, '0')}`);
    const file = fileWith('big.csv', `mac\n${macs.join('\n')}\n`);
    const { code, stdout } = await leasehold('reservation', 'import', file, '--subnet', 'big-a');
    expect({ code, stdout }).toEqual({ code: 0, stdout: '2000 reserved, 0 were there already\n' });
    const released = await leasehold('reservation', 'release', '--network', 'big', '--guest-stopped');
    expect(released).toEqual({ code: 0, stdout: '2000 released\n', stderr: '' });
    await eventually('the rest of big-a', async () => (await leasehold('subnet', 'delete', 'big-a')).code === 0);
    await leasehold('network', 'delete', 'big');
  });
});

describe('in a pipe', () => {
  test('a watch is JSON lines, which end on SIGINT with exit code 0', async () => {
    const watching = startProgram('leasehold', ['network', 'list', '--watch', '-o', 'json'], { env });
    await watching.waitForLine('"network_id":"red"');
    await cluster.client().networks.update('red', { displayName: 'Rouge' });
    await watching.waitForLine('"display_name":"Rouge"');
    watching.signal('SIGINT');
    expect(await watching.exited).toBe(0);
    for (const { text } of watching.lines) expect(() => JSON.parse(text) as unknown).not.toThrow();
  });
});

describe('a reader that goes away', () => {
  /** The exit code of a command line whose descriptor 3 nobody reads any more. */
  const unread = async (line: string) => {
    const script = `exec 3> >(true); wait $!; leasehold ${line}; echo "code=$?"`;
    const { stdout } = await run('bash', ['--norc', '-c', script], { env });
    return /code=(\d+)\n$/.exec(stdout)?.[1];
  };

  test('leaves nothing half done, and hides no failure', async () => {
    const client = cluster.client();
    await client.networks.create({ networkId: 'piped', dhcpServerCount: 0 });
    await client.subnets.create({ subnetId: 'piped-a', networkId: 'piped', cidr: '10.9.0.0/18' });
    const macs = Array.from({ length: 500 }, (_, n) => `5254.0002.${n.toString(16).padStart(4, '0')}`);
    const file = fileWith('piped.csv', `mac\n${macs.join('\n')}\n`);
    expect(await unread(`reservation import ${file} --subnet piped-a --progress 2>&3`)).toBe('0');
    expect(await client.reservations.list({ networkId: 'piped' }).toArray()).toHaveLength(macs.length);
    expect(await unread(`reservation import ${fileWith('bad.csv', 'mac\nnone\n')} --subnet piped-a >&3`)).toBe('1');
    await leasehold('reservation', 'release', '--network', 'piped', '--guest-stopped');
    await eventually('the rest of piped-a', async () => (await leasehold('subnet', 'delete', 'piped-a')).code === 0);
    await leasehold('network', 'delete', 'piped');
  });

  test('has seen enough of a watch, which ends with exit code 0', async () => {
    expect(await unread('watch --snapshot >&3')).toBe('0');
    expect(await unread('network list --watch >&3')).toBe('0');
  });
});

describe('completion', () => {
  test('in bash: commands, flags, words and ids, also behind = and :', async () => {
    const script = `
      source <(leasehold completion bash)
      complete -p leasehold
      try() { COMP_LINE=$1 COMP_POINT=\${#1}; _leasehold leasehold; echo "$1|\${COMPREPLY[*]}"; }
      try 'leasehold netw'; try 'leasehold subnet '; try 'leasehold subnet get r'
      try 'leasehold subnet list --network=r'; try 'leasehold host list -o '; try 'leasehold reserve red-a --own'
      try 'leasehold --server unix:/nowhere subnet get '`;
    const { code, stdout, stderr } = await run('bash', ['--norc', '-c', script], { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.trimEnd().split('\n')).toEqual([
      'complete -F _leasehold leasehold',
      'leasehold netw|network',
      'leasehold subnet |create get list update delete',
      'leasehold subnet get r|red-a',
      'leasehold subnet list --network=r|red',
      'leasehold host list -o |table json yaml',
      'leasehold reserve red-a --own|--owner',
      'leasehold --server unix:/nowhere subnet get |',
    ]);
  });

  test.skipIf(!hasFish)('in fish', async () => {
    const script =
      'leasehold completion fish | source; complete -C "leasehold subnet get "; complete -C "leasehold -o j"';
    const { stdout } = await run('fish', ['--no-config', '-c', script], { env: { ...env, HOME: cluster.directory } });
    expect(stdout).toBe('red-a\t10.1.0.0/24\njson\n');
  });

  test.skipIf(!hasZsh || !hasTmux)('in zsh', async () => {
    fileWith('.zshrc', 'autoload -Uz compinit; compinit -u -D; PS1="ready> "; source <(leasehold completion zsh)\n');
    const started = { command: 'zsh -d -i', env: { ...env, ZDOTDIR: cluster.directory } };
    await using terminal = await Terminal.open(started);
    await terminal.shows(/ready>/);
    await terminal.type('leasehold subnet get ', 'Tab');
    expect(await terminal.shows(/get red-a/)).toContain('leasehold subnet get red-a');
  });
});

describe.skipIf(!hasTmux)('at a terminal', () => {
  const shell = async (): Promise<Terminal> => {
    const rc = fileWith('.bashrc', 'PS1="ready> "; source <(leasehold completion bash)\n');
    const command = `bash --noprofile --rcfile ${rc} -i`;
    const terminal = await Terminal.open({ command, env });
    await terminal.shows(/ready>/);
    return terminal;
  };

  test('Tab completes', async () => {
    await using terminal = await shell();
    await terminal.type('leasehold netw', 'Tab');
    await terminal.shows(/leasehold network/);
    await terminal.type('get ', 'Tab');
    expect(await terminal.shows(/get red/)).toContain('leasehold network get red');
  });

  test('doctor and lists have colours, in a pipe they have none', async () => {
    await using terminal = await shell();
    await terminal.type('clear; leasehold host list', 'Enter');
    await terminal.shows(/h1 +\\033\[32mup\\033\[/, true);
    await terminal.type('clear; leasehold host list | cat -v', 'Enter');
    expect(await terminal.shows(/h1 +up/, true)).not.toMatch(/\\033\[32m|\^\[/);
  });

  test('a watch is redrawn when a host falls silent, and Ctrl-C leaves what it showed last', async () => {
    await using terminal = await shell();
    await terminal.type('leasehold host list --watch; echo "code=$?"', 'Enter');
    const before = await terminal.shows(/Ctrl-C ends/);
    // A screen of its own: what was typed is not on it.
    expect(before).not.toContain('ready>');
    await terminal.shows(/h1 +up/);
    await host.killAgent();
    const down = await terminal.shows(/h1 +\\033\[31mdown/, true);
    expect(down.match(/h1 /g)).toHaveLength(1);
    const unwell = await leasehold('doctor');
    expect(unwell.code).toBe(1);
    expect(unwell.stdout).toMatch(/^problem +host h1 +is down$/m);
    await host.startAgent();
    await terminal.shows(/h1 +up/);
    await terminal.type('C-c');
    const after = await terminal.shows(/code=0/);
    expect(after).toMatch(/ready> leasehold host list --watch.*\nHOST .*\nh1 +up/);
  });

  test('doctor says that all is well when it is', async () => {
    await using terminal = await shell();
    await terminal.type('clear; until leasehold doctor; do sleep 1; done', 'Enter');
    const screen = await terminal.shows(/\n(All is well|Nothing is broken, \d+ warnings?)\n/);
    expect(screen).toMatch(/^ok +hosts +1 of 1 are up/m);
  });
});
