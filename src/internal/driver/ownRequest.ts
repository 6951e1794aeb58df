/**
 * A question of dblive's own to a connection: as it is, not kept prepared, with its rows as arrays.
 */
import type { Request } from "../../driver/Driver.js"

export const ownRequest = (text: string, params: ReadonlyArray<unknown> = []): Request => ({
  text,
  params,
  mode: "values",
  prepare: false,
  begin: undefined,
  statementTimeout: undefined,
  lockTimeout: undefined,
  safeIntegers: false
})
