/** The annotations of what is logged, which a logger is given in another form in Effect 4. */
import type * as Logger from "effect/Logger"

export const annotationsOf = ({ annotations }: Logger.Logger.Options<unknown>): Record<string, unknown> =>
  Object.fromEntries(annotations)
