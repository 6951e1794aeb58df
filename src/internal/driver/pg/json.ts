/**
 * JSON as a parameter.
 *
 * @since 0.1.0
 */

/**
 * A value that is to be sent as JSON whatever it is: `null`, a string and an array too.
 *
 * @since 0.1.0
 * @category models
 */
export class Json {
  constructor(readonly value: unknown) {}
}
