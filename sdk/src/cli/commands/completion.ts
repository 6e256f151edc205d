// `leasehold completion`

import { offlineCommand } from '../command.js';
import { completionScript, SHELLS } from '../shells.js';

/** The command that makes shells complete the others. */
export const completionCommands = [
  offlineCommand({
    path: ['completion'],
    summary: 'Prints a script that makes a shell complete commands, flags and ids',
    args: { shell: { help: 'bash, zsh or fish; where to put the script stands at its top', choices: SHELLS } },
    flags: {},
    examples: ['completion bash', 'completion zsh', 'completion fish'],
    run({ shell }) {
      const script = completionScript(shell);
      if (script === undefined)
        return { kind: 'usage', problem: `SHELL: expected ${SHELLS.join(', ')}, not "${shell}"` };
      return { kind: 'done', text: script.trimEnd() };
    },
  }),
];
