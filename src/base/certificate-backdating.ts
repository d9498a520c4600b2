/**
 * An authority's validity starts this far in the past, for hosts with slow clocks, and certificates start when their
 * authority does: however far clocks are apart, a renewed certificate is valid wherever the previous one was.
 */
export const certificateBackdatingMs = 3_600_000;
