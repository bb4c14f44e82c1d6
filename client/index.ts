/** `import { connect } from 'holdfast/client'`: storefront back ends and browsers. See client/README.md. */
export { connect, type Client } from './client.js';
export { HoldfastError, type LocalCode } from './errors.js';
export type { ReplicaItem } from './replica-item.js';
export type { ChangeListener, Replica } from './replica.js';
export type { Socket, SocketConstructor } from './socket.js';
export type * from './types.js';
