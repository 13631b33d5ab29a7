type Stop = () => Promise<void>;

/**
 * Starts something that consists of several servers. `start` says how to stop each part as soon as the part runs.
 *
 * @returns what `start` returns, with a `stop` that stops the parts, the last one first. If `start` fails, the parts that
 * run are stopped too.
 */
export async function startParts<T extends object>(
  start: (onStop: (stop: Stop) => void) => Promise<T>,
): Promise<T & { stop: Stop }> {
  const stops: Stop[] = [];
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).toReversed()) await each();
  };
  try {
    return {
      ...(await start((each) => {
        stops.push(each);
      })),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
