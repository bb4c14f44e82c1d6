/**
 * What a test of Holdfast may lean on: real servers, shared where that is safe, its own where it breaks things.
 * Everything here is undone at the end of the test file by itself.
 */
export { type TestCluster, testCluster } from './cluster.js';
export { type TestDatabase, testDatabase } from './database.js';
export { atEnd, tempDir } from './shared.js';
export { startCluster, startDatabase, startStack, type TestStack } from './stack.js';
