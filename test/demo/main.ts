// `npm run demo`: the main job of Leasehold with real processes, real networks and real DHCP clients.
//
// This is the outer part: it enters a sandbox and passes on how the story inside ended. All files of the story are in
// the sandbox's own /run, in memory, so that nothing is left behind even when this process is killed.

import { fileURLToPath } from 'node:url';
import { findEntrance, inSandbox } from '../support/sandbox.js';
import { findUdhcpc } from '../support/udhcpc-binary.js';

async function main(): Promise<number> {
  const entrance = await findEntrance();
  if (!entrance.ok) {
    console.log(`The demo needs network namespaces, which cannot be made here (${entrance.why}): run it as root`);
    return 1;
  }
  // Before the sandbox, because inside there is no way out to fetch it.
  const udhcpc = await findUdhcpc();
  if (!udhcpc.ok) {
    console.log(udhcpc.problem);
    return 1;
  }
  const story = fileURLToPath(new URL('./story.js', import.meta.url));
  return inSandbox(entrance, process.execPath, [story], { TMPDIR: '/run' });
}

process.exitCode = await main();
