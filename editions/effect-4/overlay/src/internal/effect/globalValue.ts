/**
 * One value for the whole process, where this module is loaded more than once.
 */
const values: Map<unknown, unknown> = (globalThis as { [key: symbol]: Map<unknown, unknown> | undefined })[
  Symbol.for("dblive/globalValues")
] ??= new Map()

/** The value under a key; made at the first call. */
export const globalValue = <A>(key: unknown, make: () => A): A => {
  if (!values.has(key)) {
    values.set(key, make())
  }
  // What stands under a key was made for that key.
  return values.get(key) as A
}
