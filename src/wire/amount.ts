/**
 * Options that are numbers: 0 is zero, `Infinity` is no limit.
 *
 * @module
 */

/**
 * Checks an option that is a number.
 *
 * @param name The option's name, for the error.
 * @param unit The unit, for the error; `""` if the name has it.
 * @throws {RangeError} The number is negative, or the value is no number.
 */
export function readAmount(
  name: string,
  amount: number,
  unit = "milliseconds",
): number {
  if (typeof amount === "number" && amount >= 0) return amount;
  const of = unit && ` ${unit}`;
  throw new RangeError(
    `Cannot set ${name}: it must be 0 or more${of}, got ${nameOf(amount)}`,
  );
}

/**
 * A refused value for an error: the number, or the type of anything else, such as
 * "60".
 */
export function nameOf(amount: unknown): string {
  return typeof amount === "number" ? `${amount}` : typeof amount;
}
