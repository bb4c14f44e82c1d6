/** Where the stream is opened. */
export const STREAM_PATH = '/v1/stream';
