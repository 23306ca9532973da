//! Every setting of the service and of its environment, each declared once.
