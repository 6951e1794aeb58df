/**
 * A queue, first come, first served, from whose middle one can leave at no cost however long it is: an interrupted
 * waiter among ten thousand is not searched for.
 */
export interface FifoNode {
  links: FifoNode.Place | undefined
}

export declare namespace FifoNode {
  /** Where an object stands in its line. */
  export interface Place {
    previous: FifoNode | undefined
    next: FifoNode | undefined
  }
}

export class FifoQueue<W extends FifoNode> {
  private first: W | undefined = undefined
  private last: W | undefined = undefined
  size = 0

  get head(): W | undefined {
    return this.first
  }

  /** The one behind. */
  after(waiter: W): W | undefined {
    // Only objects of type W ever enter this line, so its links are of type W.
    return waiter.links?.next as W | undefined
  }

  add(waiter: W): void {
    waiter.links = { previous: this.last, next: undefined }
    if (this.last === undefined) {
      this.first = waiter
    } else {
      this.last.links!.next = waiter
    }
    this.last = waiter
    this.size++
  }

  /** Takes a waiter out, wherever it stands; does nothing for one that does not wait. */
  remove(waiter: W): void {
    const place = waiter.links
    if (place === undefined) {
      return
    }
    if (place.previous === undefined) {
      this.first = place.next as W | undefined
    } else {
      place.previous.links!.next = place.next
    }
    if (place.next === undefined) {
      this.last = place.previous as W | undefined
    } else {
      place.next.links!.previous = place.previous
    }
    // A removed node has no links: one that is collected late would keep its neighbours alive.
    place.previous = undefined
    place.next = undefined
    waiter.links = undefined
    this.size--
  }

  /** Empties the line, from its head, giving each to `f`. */
  drain(f: (waiter: W) => void): void {
    for (let waiter = this.first; waiter !== undefined; waiter = this.first) {
      this.remove(waiter)
      f(waiter)
    }
  }
}
