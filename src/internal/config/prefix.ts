/**
 * Prefixes of database names.
 */

/**
 * `test.payment` before `orders` is `test.payment.orders`. Leading parts that stand there already are not put again, so
 * that prefixes can be nested and applied twice; the last part of the name always stays.
 */
export const prefixed = (prefix: string | undefined, name: string): string => {
  if (prefix === undefined) {
    return name
  }
  const before = prefix.split(".")
  const parts = name.split(".")
  let same = 0
  while (same < before.length && same < parts.length - 1 && before[same] === parts[same]) {
    same++
  }
  return [...before, ...parts.slice(same)].join(".")
}
