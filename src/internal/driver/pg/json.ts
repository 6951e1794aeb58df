/**
 * JSON as a parameter.
 */

/** A value that is to be sent as JSON whatever it is: `null`, a string and an array too. */
export class Json {
  constructor(readonly value: unknown) {}
}
