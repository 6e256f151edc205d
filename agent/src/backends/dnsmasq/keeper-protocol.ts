// What an agent and the keeper of its dnsmasq processes say to each other: JSON, one message a line, on a unix socket.

/** Raised when an agent could not use a keeper of another version. */
export const KEEPER_PROTOCOL = 2;

/** A running dnsmasq. */
export interface KeptServer {
  readonly key: string;
  readonly pid: number;
  readonly args: readonly string[];
}

/** Asked of the keeper. Those with an `id` are answered. */
export type KeeperCommand =
  | { readonly do: 'list'; readonly id: number }
  /** Runs dnsmasq; what ran under the key must have ended. */
  | {
      readonly do: 'start';
      readonly id: number;
      readonly key: string;
      readonly args: readonly string[];
      readonly untilMs: number;
    }
  /** Answered when it is gone. */
  | { readonly do: 'end'; readonly id: number; readonly key: string }
  /** From now on it ends at this time, be it later or earlier. */
  | { readonly do: 'hold'; readonly key: string; readonly untilMs: number }
  /** From now on it ends at this time, unless it would have ended earlier. */
  | { readonly do: 'limit'; readonly key: string; readonly untilMs: number }
  /** SIGHUP. */
  | { readonly do: 'reread'; readonly key: string };

/** Said by the keeper; the first one is the greeting. */
export type KeeperMessage =
  | { readonly protocol: number; readonly pid: number }
  | { readonly re: number; readonly servers: readonly KeptServer[] }
  | { readonly re: number; readonly pid: number }
  | { readonly re: number; readonly problem: string }
  | { readonly re: number; readonly gone: true }
  | { readonly key: string; readonly pid: number; readonly line: string }
  | { readonly key: string; readonly pid: number; readonly exit: string };

/** Cuts a stream of text into lines. */
export function lineReader(onLine: (line: string) => void): (chunk: string) => void {
  let rest = '';
  return (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') onLine(line);
  };
}
