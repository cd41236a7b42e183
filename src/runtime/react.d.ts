/**
 * The functions of React that `react.ts` uses, declared here because React's types
 * are a dependency of their own.
 */

export function useEffect(
  effect: () => (() => void) | undefined,
  dependencies: readonly unknown[],
): void;

export function useMemo<T>(make: () => T, dependencies: readonly unknown[]): T;

export function useState<T>(
  initial: T,
): [state: T, set: (next: (state: T) => T) => void];

export function useSyncExternalStore<T>(
  subscribe: (listener: () => void) => () => void,
  get: () => T,
  getOnServer: () => T,
): T;
