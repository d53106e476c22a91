//! How requests travel, and the rules that every request obeys
