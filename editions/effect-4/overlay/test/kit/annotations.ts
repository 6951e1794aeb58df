/** The annotations of what is logged, which a logger is given in another form in Effect 3. */
import type * as Logger from "effect/Logger"
import * as References from "effect/References"

export const annotationsOf = ({ fiber }: Logger.Options<unknown>): Record<string, unknown> => ({
  ...fiber.getRef(References.CurrentLogAnnotations)
})
