// How failures are told: as text with what to do next, or as JSON and YAML for programs; and the exit code each gives.

import type { LeaseholdError } from '../errors.js';
import { nextStep } from './next-steps.js';
import { type OutputFormat, printable, serialize } from './output.js';
import type { Json } from './yaml.js';

const UNANSWERED: ReadonlySet<string> = new Set(['NO_CONNECTION', 'OUTCOME_UNKNOWN', 'DEADLINE_EXCEEDED']);

/** The exit code of a failure: 1 refused, 3 no answer. */
export function exitCode({ reason }: LeaseholdError): number {
  return UNANSWERED.has(reason) ? 3 : 1;
}

const FLAGS = { serverName: 'server-name', trustDomain: 'trust-domain', ca: 'ca', cert: 'cert', key: 'key' } as const;

/** What the SDK says of its options, in the words of the command line. */
export function inFlags(problem: string): string {
  return problem
    .replace(/\btls\.(serverName|trustDomain|ca|cert|key)\b/g, (_, part: keyof typeof FLAGS) => `--tls-${FLAGS[part]}`)
    .replace(/\b(set|without) tls\b/, '$1 --tls-ca')
    .replace(/\binsecureNetwork\b/, '--insecure-network');
}

/** What a failure says. What servers say is left as it is. */
function messageOf({ reason, message }: LeaseholdError): string {
  return reason === 'NO_CONNECTION' ? inFlags(message) : message;
}

/** What a failure says, with its reason, on one line. */
export function said(error: LeaseholdError): string {
  return `${messageOf(error)} (${error.reason})`;
}

/** A failure as it is printed on stderr. */
export function errorText(error: LeaseholdError, format: OutputFormat): string {
  if (format !== 'table') return serialize({ error: errorJson(error) }, format);
  // The message of a server holds what fits of them: what it says is not said twice.
  const unsaid = error.fieldViolations.filter(
    ({ field, description }) => !error.message.includes(`${field}: ${description}`),
  );
  const fields = unsaid.map(({ field, description }) => `  ${printable(`${field}: ${description}`)}\n`);
  const next = nextStep(error);
  const step = next === undefined ? '' : `  → ${printable(next)}\n`;
  return `leasehold: ${printable(said(error))}\n${fields.join('')}${step}`;
}

function errorJson(error: LeaseholdError): Json {
  const { code, reason, metadata, fieldViolations, retryable, retryAfterMs } = error;
  return {
    code,
    reason,
    message: messageOf(error),
    metadata,
    field_violations: fieldViolations.map(({ field, description }) => ({ field, description })),
    retryable,
    next: nextStep(error) ?? '',
    ...(retryAfterMs === undefined ? {} : { retry_after: `${retryAfterMs / 1_000}s` }),
  };
}
