// What the commands of leasehold-server share.

import type { OptionSources } from '@leasehold/program/options';

/** What a command runs with: its arguments, the environment, and the standard streams. */
export interface CommandContext extends Pick<OptionSources, 'args' | 'env'> {
  readonly version: string;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

/** What an error says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
