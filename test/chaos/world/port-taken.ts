/** Starting again on a port that another program on this machine may hold for a moment, such as one that looks for a free one. */
const ATTEMPTS = 20;
const AGAIN_MS = 500;

/** @throws what `start` throws, at once where it is something else, else after 10 s */
export async function whilePortTaken<T>(start: () => Promise<T>, taken: (error: unknown) => boolean): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start();
    } catch (error) {
      if (!taken(error) || attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}
