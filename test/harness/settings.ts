/** Settings of every Redis Cluster in tests: DEBUG is there to compare digests and to provoke faults. */
export const TEST_REDIS_CONF: Record<string, string> = { 'enable-debug-command': 'local', 'repl-backlog-size': '8mb' };
