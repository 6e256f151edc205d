// A raw guest's process, in its namespace: `raw-guest-program IFACE HEX…` broadcasts these messages, and ends.

import { openGuestSocket } from './guest-socket.js';

const [interfaceName = '', ...messages] = process.argv.slice(2);
const socket = openGuestSocket(interfaceName, () => undefined);
for (const message of messages) socket.send(Buffer.from(message, 'hex'));
setImmediate(() => socket.close());
