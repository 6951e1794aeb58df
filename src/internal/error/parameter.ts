/**
 * The parameter of which an error speaks. A driver knows its number, the text with names its name.
 */

/** The parameter, and what is said of it. */
export interface Mentioned {
  /** From 1. */
  readonly number: number
  /** What it is, in the middle of a sentence; `undefined` where the error speaks in the database's own words. */
  readonly is?: string | undefined
}

const says = (label: string, is: string): string => `parameter ${label} is ${is}`

/** What an error is made of that refuses a parameter, by its index from 0; `label` is how the statement writes its place. */
export const refusedParameter = (
  index: number,
  is: string,
  label = String(index + 1)
): { readonly what: string; readonly parameter: Mentioned } => ({
  what: says(label, is),
  parameter: { number: index + 1, is }
})

/** The same with the parameter's name. The database's words stay as they are. */
export const withName = (what: string, { is, number }: Mentioned, name: string): string =>
  is === undefined ? `${what} (:${name} is parameter ${number})` : says(`:${name}`, is)
