// Programs that only some tests need. Where one is missing those tests are skipped, and `npm test` says so.

import { lastLine, run } from './run.js';

/** A program, how to see that it works here, its Debian package, and what is not run without it. */
interface Tool {
  readonly probe: readonly string[];
  readonly package: string;
  readonly tests: string;
}

const TOOLS = {
  strace: {
    // Not only its version: where tracing is forbidden it starts all the same.
    probe: ['-qq', '-o', '/dev/null', 'true'],
    package: 'strace',
    tests: 'the tests of the embedded store on slow and failing disks',
  },
  dnsmasq: { probe: ['--version'], package: 'dnsmasq-base', tests: 'the tests of the dnsmasq backend' },
  dhclient: { probe: ['--version'], package: 'isc-dhcp-client', tests: 'the tests with dhclient as the guest' },
  nft: { probe: ['list', 'ruleset'], package: 'nftables', tests: 'the tests of networks that are cut' },
  tmux: { probe: ['-V'], package: 'tmux', tests: 'the tests of the command line at a terminal' },
  zsh: { probe: ['--version'], package: 'zsh', tests: 'the test of completion in zsh' },
  fish: { probe: ['--version'], package: 'fish', tests: 'the test of completion in fish' },
  dhcpcd: { probe: ['--version'], package: 'dhcpcd-base', tests: 'the tests with dhcpcd as the guest' },
} satisfies Readonly<Record<string, Tool>>;

/** Whether a program works here. */
export async function hasTool(name: keyof typeof TOOLS): Promise<boolean> {
  return (await run(name, TOOLS[name].probe)).code === 0;
}

/** A line for each program that does not work here: what is not run, and why. */
export async function missingTools(): Promise<readonly string[]> {
  const lines = Object.entries(TOOLS).map(async ([name, tool]) => {
    const { code, stderr } = await run(name, tool.probe);
    if (code === 0) return [];
    const why = code === 127 ? `there is no ${name}` : `${name} does not work (${lastLine(stderr) ?? ''})`;
    return [`Not run: ${tool.tests}, because ${why} here: apt-get install ${tool.package}`];
  });
  return (await Promise.all(lines)).flat();
}
