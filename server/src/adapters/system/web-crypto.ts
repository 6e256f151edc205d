// Where keys come from.

import { webcrypto } from 'node:crypto';

/** Makes keys, signs, and draws serial numbers. */
export const systemCrypto: webcrypto.Crypto = webcrypto;
